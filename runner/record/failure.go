package record

// Reasons that the engine itself gives; functions add their own (ImagePull, WrongPassword, AccessDenied, OOMKilled, …).
const (
	ReasonInterrupted = "Interrupted"    // the runner died in a phase that may not be repeated
	ReasonTimeout     = "Timeout"        // the run's deadline, or the bound of deferPhase or undo
	ReasonCancelled   = "Cancelled"      // the phase was ended by a cancel
	ReasonPanic       = "Panic"          // the function has a bug
	ReasonTooLarge    = "RecordTooLarge" // the outputs do not fit into the run record
	ReasonTemplate    = "Template"       // a template does not render
	ReasonArguments   = "Arguments"      // an argument is missing or unknown
	ReasonFunction    = "UnknownFunction"
	ReasonDeleted     = "RecordDeleted" // the run record was deleted while no runner was alive
	ReasonParameters  = "Parameters"    // target, profile, Secrets or ConfigMaps of the run cannot be read
	ReasonOutput      = "Output"        // an output that the run record cannot hold
)

// Error makes a Failure an error: functions return it, or wrap it, and the engine takes its fields over.
func (f *Failure) Error() string { return f.Message }

// Clone is a copy that shares nothing with f; nil for nil.
func (f *Failure) Clone() *Failure {
	if f == nil {
		return nil
	}

	c := *f
	c.LastLogs = append([]string(nil), f.LastLogs...)
	c.Events = append([]string(nil), f.Events...)

	if f.Pod != nil {
		pod := *f.Pod
		c.Pod = &pod
	}

	if f.Exit != nil {
		exit := *f.Exit
		c.Exit = &exit
	}

	return &c
}
