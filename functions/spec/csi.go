package spec

var csiFamily = []Function{}
