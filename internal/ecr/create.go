// Package ecr creates repositories in Amazon's private registries, which do not create
// them at the first push.
package ecr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// createTimeout bounds one call.
const createTimeout = 30 * time.Second

// Create creates a repository with the daemon's AWS identity. If the repository exists,
// there is no error. Encryption, scanning and tags are the defaults of the account.
func Create(ctx context.Context, account, region, repository string) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return fmt.Errorf("find the AWS identity: %w", err)
	}
	_, err = ecr.NewFromConfig(settings).CreateRepository(ctx, &ecr.CreateRepositoryInput{
		RegistryId: aws.String(account), RepositoryName: aws.String(repository),
	})
	if _, there := errors.AsType[*types.RepositoryAlreadyExistsException](err); there {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create repository %s in %s: %w", repository, region, err)
	}
	return nil
}
