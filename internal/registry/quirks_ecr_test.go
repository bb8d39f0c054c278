package registry

import "testing"

func TestECRIsKnownByAllOfItsNames(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":             "Amazon ECR",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            "Amazon ECR",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            "Amazon ECR",
		"123456789012.dkr-ecr.eu-central-1.on.aws":                    "Amazon ECR",
		"123456789012.dkr-ecr-fips.us-east-1.on.aws":                  "Amazon ECR",
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": "Amazon ECR",
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov":               "Amazon ECR",
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           "Amazon ECR",
		"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          "Amazon ECR",
		"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         "Amazon ECR",
		"public.ecr.aws":       "Amazon ECR Public",
		"ecr-public.aws.com":   "Amazon ECR Public",
		"on.aws.evil.example":  "",
		"amazonaws.eu.example": "",
	} {
		if got := quirksOf(host); got.name != want || got.noSelfMount != (want != "") {
			t.Errorf("%s is %+v, want %q", host, got, want)
		}
	}
}
