// This module only pins the upstream blueprints that the tests of package blueprint read; nothing is copied from them.
module github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/testdata/upstream

go 1.26.0

require github.com/kanisterio/blueprints v0.0.0-20251121103612-0e5855fe8223
