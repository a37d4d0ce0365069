package deploy

// Access is what clients of a server need, to be printed for people, shells and, as JSON, programs.
type Access interface {
	// Vars are names and values of shell variables.
	Vars() [][2]string
	// Authority is the certificate, in PEM, to trust.
	Authority() string
}
