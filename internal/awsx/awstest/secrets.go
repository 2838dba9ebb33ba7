package awstest

import (
	"fmt"
	"strings"
)

// secretsManager answers GetSecretValue. Source: AWS Secrets Manager API reference, version 2017-10-17.
func (s *Server) secretsManager(held []Secret) Handler {
	get := func(c Call, r *Request) (any, error) {
		var in struct{ SecretId, VersionId, VersionStage string } //nolint:revive // AWS's names
		if err := r.Decode(&in); err != nil {
			return nil, err
		}
		if in.SecretId == "" {
			return nil, r.Invalid("You must provide a value for the SecretId parameter.")
		}
		for _, x := range held {
			// A secret's ARN ends in six characters of chance; -abcdef stands for them here.
			arn := fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-abcdef", c.Region, c.Account, x.Name)
			if !s.at(c, x.Account, x.Region) || in.SecretId != x.Name && in.SecretId != arn && in.SecretId+"-abcdef" != arn {
				continue
			}
			if in.VersionStage != "" && in.VersionStage != "AWSCURRENT" || in.VersionId != "" {
				return nil, &Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret value for this version."}
			}
			return map[string]any{"ARN": arn, "Name": x.Name, "SecretString": x.Value, "CreatedDate": 1704067200.0,
				"VersionId": "00000000-0000-4000-8000-000000000001", "VersionStages": []string{"AWSCURRENT"}}, nil
		}
		return nil, &Error{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return Handler{Protocol: JSON11, Target: "secretsmanager", Invalid: "InvalidParameterException", Operations: map[string]Operation{"GetSecretValue": {Do: get}}}
}

// systemsManager answers GetParameter. Source: AWS Systems Manager API reference, version 2014-11-06.
func (s *Server) systemsManager(held []Parameter) Handler {
	get := func(c Call, r *Request) (any, error) {
		var in struct {
			Name           string
			WithDecryption bool
		}
		if err := r.Decode(&in); err != nil {
			return nil, err
		}
		if in.Name == "" {
			return nil, r.Invalid("1 validation error detected: Value '' at 'name' failed to satisfy constraint")
		}
		for _, x := range held {
			arn := fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", c.Region, c.Account, strings.TrimPrefix(x.Name, "/"))
			if !s.at(c, x.Account, x.Region) || in.Name != x.Name && in.Name != arn {
				continue
			}
			kind, value := "String", x.Value
			if x.Secure {
				kind = "SecureString"
				if !in.WithDecryption {
					value = "AQICAHhjaXBoZXJ0ZXh0" // what KMS made of it
				}
			}
			return map[string]any{"Parameter": map[string]any{"ARN": arn, "Name": x.Name, "Type": kind, "Value": value, "Version": 1,
				"DataType": "text", "LastModifiedDate": 1704067200.0}}, nil
		}
		return nil, &Error{Code: "ParameterNotFound"}
	}
	return Handler{Protocol: JSON11, Target: "AmazonSSM", Operations: map[string]Operation{"GetParameter": {Do: get}}}
}

// at reports whether a call is made where something lies.
func (s *Server) at(c Call, account, region string) bool {
	return (account == c.Account || account == "" && c.Account == s.org().Home) && (region == "" || region == c.Region)
}
