package spec

var execFamily = []Function{}
