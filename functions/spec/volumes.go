package spec

var volumesFamily = []Function{}
