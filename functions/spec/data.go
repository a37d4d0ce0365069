package spec

var dataFamily = []Function{}
