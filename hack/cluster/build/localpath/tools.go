//go:build tools

// Package localpath pins local-path-provisioner, the test cluster's default storage without snapshots.
package localpath

import _ "github.com/rancher/local-path-provisioner"
