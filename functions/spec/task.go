package spec

var taskFamily = []Function{}
