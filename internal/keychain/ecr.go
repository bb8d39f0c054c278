package keychain

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/awslabs/amazon-ecr-credential-helper/ecr-login/api"
	"github.com/google/go-containerregistry/pkg/authn"
)

// isECR tells whether a host is a private registry of Amazon, in any of its
// partitions, by IPv4 or dual-stack.
func isECR(host string) bool {
	if strings.ContainsAny(host, ":/@?#") {
		return false
	}
	registry, err := api.ExtractRegistry(host)
	return err == nil && registry.Service == api.ServiceECR
}

// getECR asks Amazon for a password, with the identity that AWS's default chain finds.
func getECR(ctx context.Context, host string) (authn.AuthConfig, error) {
	registry, err := api.ExtractRegistry(host)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	// FIPS and dual-stack endpoints of the API are settings of AWS's own, and do not go
	// with all the others.
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(registry.Region))
	if err != nil {
		return authn.AuthConfig{}, trouble(err)
	}
	answer, err := ecr.NewFromConfig(loaded).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return authn.AuthConfig{}, awsTrouble(ctx, err)
	}
	for _, data := range answer.AuthorizationData {
		decoded, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
		if user, password, found := strings.Cut(string(decoded), ":"); err == nil && found {
			return authn.AuthConfig{Username: user, Password: password}, nil
		}
	}
	return authn.AuthConfig{}, errors.New("AWS answered without a password")
}

// awsTrouble shows the code of AWS's refusal, but not its answer.
func awsTrouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("AWS refused: %w", trouble(errors.New(refused.ErrorCode())))
	}
	return trouble(err)
}
