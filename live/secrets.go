package live

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"

	"github.com/plumbline/plumbline/pipeline"
)

var (
	secretsService    = service{iam: "secretsmanager"}
	parametersService = service{iam: "ssm"}
)

// secretLimit bounds a reply with a secret: Secrets Manager takes 64 KiB, which escapes and Base64 make longer.
const secretLimit = 512 << 10

// The operations of the services that keep secrets.
var (
	opDescribeSecret = &operation{
		name: "DescribeSecret", doing: "looking at secret", service: secretsService, level: SecretLevel, limit: otherLimit,
		result: func() any { return new(secretsmanager.DescribeSecretOutput) },
		send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
			_, err := r.secrets.DescribeSecret(ctx, new(secretsmanager.DescribeSecretInput), func(o *secretsmanager.Options) {
				o.Retryer = retryer
				o.APIOptions = append(o.APIOptions, change)
			})
			return err
		},
	}
	opGetSecretValue = &operation{
		name: "GetSecretValue", doing: "reading secret", service: secretsService, level: SecretLevel, secret: true, limit: secretLimit,
		result: func() any { return new(secretsmanager.GetSecretValueOutput) },
		send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
			_, err := r.secrets.GetSecretValue(ctx, new(secretsmanager.GetSecretValueInput), func(o *secretsmanager.Options) {
				o.Retryer = retryer
				o.APIOptions = append(o.APIOptions, change)
			})
			return err
		},
	}
	opGetParameter = &operation{
		name: "GetParameter", doing: "reading parameter", service: parametersService, level: ParameterLevel, secret: true, limit: secretLimit,
		result: func() any { return new(ssm.GetParameterOutput) },
		send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
			_, err := r.parameters.GetParameter(ctx, new(ssm.GetParameterInput), func(o *ssm.Options) {
				o.Retryer = retryer
				o.APIOptions = append(o.APIOptions, change)
			})
			return err
		},
	}
)

// SecretVersion returns the version that a reference means now: the id of a secret's version, the number of a
// parameter's. Nothing is decrypted. The error's class is [NotFound] where there is no such secret, or no such
// version of it, and [Invalid] where it is of a kind that cannot be used.
func (r *Reader) SecretVersion(ctx context.Context, ref pipeline.Reference) (version string, err error) {
	if ref.Service == pipeline.ParameterStore {
		err = r.parameter(ctx, ref, false, func(_, found string) { version = found })
		return version, err
	}
	err = r.callJSON(ctx, opDescribeSecret, ref.ID, object("SecretId", text(ref.ID)), func(reply *pipeline.Node) error {
		stage := firstOf(ref.Stage, "AWSCURRENT")
		if reply.Str("Name") == "" {
			return unreadable("no secret in it")
		}
		if reply.Get("DeletedDate") != nil {
			return &Error{Class: NotFound, Message: "it is going to be deleted"}
		}
		if version = ref.Version; version != "" { // which may well be one that has no staging label any more
			return nil
		}
		for _, m := range stagesOf(reply) {
			for _, label := range m.Value.Items {
				if label.Text == stage {
					version = m.Name
				}
			}
		}
		if version == "" {
			return &Error{Class: NotFound, Message: "no version of it has the staging label " + stage}
		}
		return nil
	})
	return version, err
}

// stagesOf returns the staging labels of each version.
func stagesOf(reply *pipeline.Node) []pipeline.Member {
	stages := reply.Get("VersionIdsToStages")
	if stages == nil {
		return nil // a secret without a value
	}
	return stages.Members
}

// Secret returns what a reference stands for, and the version that it is. It belongs to the Writer, because nothing
// but a write has a use for it; the value must be neither stored nor shown. No error holds any part of it.
func (w *Writer) Secret(ctx context.Context, ref pipeline.Reference) (value, version string, err error) {
	read := func(found, of string) { value, version = found, of }
	if ref.Service == pipeline.ParameterStore {
		err = w.parameter(ctx, ref, true, read)
	} else {
		err = w.secretValue(ctx, ref, read)
	}
	if err != nil {
		return "", "", err
	}
	return value, version, nil
}

func (w *Writer) secretValue(ctx context.Context, ref pipeline.Reference, read func(value, version string)) error {
	request := object("SecretId", text(ref.ID))
	if ref.Stage != "" {
		request.Set("VersionStage", text(ref.Stage))
	}
	if ref.Version != "" {
		request.Set("VersionId", text(ref.Version))
	}
	return w.callJSON(ctx, opGetSecretValue, ref.ID, request, func(reply *pipeline.Node) error {
		version, value := reply.Str("VersionId"), reply.Get("SecretString")
		switch {
		case version == "":
			return unreadable("no version in it")
		case reply.Get("SecretBinary") != nil:
			return &Error{Class: Invalid, Message: "it is binary, and a pipeline takes text: keep it as a SecretString"}
		case value == nil || value.Kind != pipeline.String:
			return unreadable("no text in it")
		}
		found, err := memberOf(value.Text, ref.Key)
		if err == nil {
			err = usable(found)
		}
		if err == nil {
			read(found, version)
		}
		return err
	})
}

// memberOf returns the member of the JSON object that a secret is, or for no key all of it.
func memberOf(secret, key string) (string, error) {
	if key == "" {
		return secret, nil
	}
	refuse := func(message string) (string, error) { return "", &Error{Class: Invalid, Message: message} }
	n, err := pipeline.Decode([]byte(secret))
	if err != nil || n.Kind != pipeline.Object { // not the error itself, which may quote the secret
		return refuse("it is no JSON object, so it has no key " + strconv.Quote(key))
	}
	switch value := n.Get(key); {
	case value == nil:
		return refuse("it has no JSON key " + strconv.Quote(key))
	case value.Kind != pipeline.String:
		return refuse("its JSON key " + strconv.Quote(key) + " is a " + value.Kind.String() + ", not a text")
	default:
		return value.Text, nil
	}
}

// usable refuses values that cannot have been meant.
func usable(value string) error {
	switch value {
	case "":
		return &Error{Class: Invalid, Message: "it is empty"}
	case pipeline.Mask:
		return &Error{Class: Invalid, Message: "its value is " + pipeline.Mask + ", which AWS takes for the secret that is there already"}
	}
	return nil
}

// parameter reads a SecureString, with its value in the clear or without it.
func (r *Reader) parameter(ctx context.Context, ref pipeline.Reference, decrypt bool, read func(value, version string)) error {
	name := ref.ID
	if ref.Version != "" {
		name += ":" + ref.Version
	}
	flag := &pipeline.Node{Kind: pipeline.Bool, Text: strconv.FormatBool(decrypt)}
	return r.callJSON(ctx, opGetParameter, ref.ID, object("Name", text(name), "WithDecryption", flag), func(reply *pipeline.Node) error {
		p := reply.Get("Parameter")
		version, kind, value := p.Int(0, "Version"), p.Str("Type"), ""
		switch {
		case version < 1 || kind == "":
			return unreadable("no parameter in it")
		case kind != "SecureString":
			return &Error{Class: Invalid, Message: "it is a " + clean(kind) + ", which everybody may read who may list it: keep it as a SecureString"}
		}
		if decrypt {
			value = p.Str("Value")
			if err := usable(value); err != nil {
				return err
			}
		}
		read(value, strconv.FormatInt(version, 10))
		return nil
	})
}
