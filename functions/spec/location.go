package spec

var locationFamily = []Function{}
