package blueprint

// Members is the table of parameter fields, for the test that holds it against package params.
var Members = members
