package spec

var workloadFamily = []Function{}
