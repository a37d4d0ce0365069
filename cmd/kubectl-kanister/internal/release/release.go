// Package release holds what the linker stamps into the plugin.
package release

// Version is the plugin's version; RunnerImage the image of the runner that was built with it. Both are set by -ldflags -X.
var (
	Version     = "v0.0.0-dev"
	RunnerImage = "kubectl-kanister/runner:dev"
)
