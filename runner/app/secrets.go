package app

import (
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// learn makes the redactor know the credentials of the input. The ids of key pairs (access key id, project, storage account)
// are no secrets: they tell which key it was.
func learn(redactor *record.Redactor, in *record.Input) {
	redactor.Public(in.Run, in.Namespace, in.Action, in.Target.Name, in.Target.Namespace, in.Blueprint.Name)

	if s := in.RepositoryServer; s != nil {
		for _, password := range s.Credentials.ServerUserAccess.Data {
			redactor.Add(string(password))
		}
	}

	if in.Profile == nil {
		return
	}

	redactor.Public(in.Profile.Name, in.Profile.Location.Bucket, in.Profile.Location.Prefix, in.Profile.Location.Region)
	redactor.Add(in.Profile.RepositoryPassword)

	c := in.Profile.Credential
	if c.KeyPair != nil {
		learnValue(redactor, c.KeyPair.Secret)
	}

	if c.Secret != nil {
		for _, id := range []string{"aws_access_key_id", "role", "aws_sts_endpoint", "azure_storage_account_id", "azure_storage_environment", "gcp_project_id"} {
			redactor.Public(string(c.Secret.Data[id])) // first: what is learnt stays hidden
		}

		for _, value := range c.Secret.Data {
			learnValue(redactor, string(value))
		}
	}

	if c.KopiaServerSecret != nil {
		redactor.Add(c.KopiaServerSecret.Password)
	}
}

// learnValue adds a value, and the secret members of a Google service account.
func learnValue(redactor *record.Redactor, value string) {
	redactor.Add(value)

	for _, secret := range record.SecretMembers(value) {
		redactor.Add(secret)
	}
}
