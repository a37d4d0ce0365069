package spec

// awsAccessDoc is of every function that asks a service of AWS.
const awsAccessDoc = "The requests are made by the runner itself, with the profile's AWS credentials (keys, session token, role) or as `credentialsSource` says."

// awsAccess are the arguments that say with whose rights a service is asked, and where. region says where it is when the argument
// does not.
func awsAccess(service, region string) []Arg {
	return []Arg{
		{Name: "credentialsSource", Type: String, Default: "profile", Values: []string{"profile", "secret", "eks_service_account"}, Doc: "Where the AWS credentials are: in the profile, in the Secret `credentialsSecret`, or the runner pod's own identity."},
		{Name: "credentialsSecret", Type: String, Doc: "Name under which the run or a phase's `objects` has the Secret, with the keys `aws_access_key_id`, `aws_secret_access_key` and perhaps `aws_session_token`, `role` and `aws_sts_endpoint` (ours)."},
		{Name: "region", Type: String, Default: region + "that of the Secret, of the profile, or of the pod's environment", Doc: "AWS region."},
		{Name: "endpoint", Type: String, Default: "AWS's own", Doc: "URL of the " + service + " API, for a private one. `AWS_ENDPOINT_URL_" + service + "` in the runner's environment works, too. Ours."},
	}
}
