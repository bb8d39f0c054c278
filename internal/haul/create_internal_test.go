package haul

import "testing"

func TestARepositoryThatDoesNotExistIsToldHowToBeMade(t *testing.T) {
	for _, c := range []struct{ host, repository, want string }{
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com", "acme/app", "create it: aws ecr create-repository --registry-id 123456789012 --region eu-central-1 --repository-name acme/app, or have the daemon do so (create_repositories)"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "app", "create it: aws ecr create-repository --registry-id 123456789012 --region us-gov-west-1 --repository-name app, or have the daemon do so (create_repositories)"},
		{"123456789012.dkr-ecr.us-east-1.on.aws", "app", "create it: aws ecr create-repository --registry-id 123456789012 --region us-east-1 --repository-name app, or have the daemon do so (create_repositories)"},
		{"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "app", "create it: aws ecr create-repository --registry-id 123456789012 --region eusc-de-east-1 --repository-name app, or have the daemon do so (create_repositories)"},
		{"public.ecr.aws", "alias/team/app", "create it: aws ecr-public create-repository --region us-east-1 --repository-name team/app"},
		{"europe-west3-docker.pkg.dev", "project/images/team/app", "create it: gcloud artifacts repositories create images --repository-format=docker --location=europe-west3 --project=project"},
		{"harbor.example", "acme/app", "create acme/app there, or have the registry create repositories on the first push"},
		{"public.ecr.aws", "app", "create app there, or have the registry create repositories on the first push"},
		{"123456789012.dkr.ecr.evil", "app", "create app there, or have the registry create repositories on the first push"},
	} {
		if got := create(c.host, c.repository); got != c.want {
			t.Errorf("%s/%s: %s, want %s", c.host, c.repository, got, c.want)
		}
	}
}
