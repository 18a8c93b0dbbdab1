package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cairn/session"
)

// storeProblem turns the result of a command that did not succeed into a
// problem (RFC 9457), or gives nil for one that did. It is the one place where
// statuses of the store meet statuses of HTTP.
func storeProblem(r *session.Result) error {
	switch r.Status {
	case session.OK:
		return nil
	case session.NotFound:
		return huma.Error404NotFound("no such session")
	case session.NotStored:
		return huma.Error412PreconditionFailed("a session with this key exists")
	case session.Exists:
		return huma.Error412PreconditionFailed("the session has another version")
	case session.TooLarge:
		return huma.Error413RequestEntityTooLarge("the value is larger than the store accepts")
	}
	return failure(r.Err)
}

// failure turns an error of the engine into a problem.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrNoSpace):
		return huma.NewError(http.StatusInsufficientStorage, "disk space is below the reserve; reads still work, and deletes and touches unless the disk is full to the last byte")
	case errors.Is(err, session.ErrClosed):
		return huma.Error503ServiceUnavailable("the store is closing")
	case errors.Is(err, session.ErrUnavailable):
		return huma.Error503ServiceUnavailable("the store is unavailable for the moment; nothing has happened")
	case errors.Is(err, session.ErrUnknownOutcome):
		return huma.Error504GatewayTimeout("the store did not answer in time; the change may have been made, or may be yet")
	}
	return huma.Error500InternalServerError(err.Error())
}

// invalid is the problem of a request whose parts are well-formed but make no
// sense.
func invalid(location string, err error) error {
	return huma.Error422UnprocessableEntity("validation failed",
		&huma.ErrorDetail{Location: location, Message: err.Error()})
}

// maxEcho is how many bytes of a faulty request a problem repeats.
const maxEcho = 300

// clipProblem shortens what validation errors repeat of the request, which may
// be a session's value.
func clipProblem(_ huma.Context, _ string, body any) (any, error) {
	model, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	model.Detail = clip(model.Detail)
	for _, detail := range model.Errors {
		detail.Location, detail.Message = clip(detail.Location), clip(detail.Message)
		switch value := detail.Value.(type) {
		case nil, bool, float64, int, int64:
		case string:
			detail.Value = clip(value)
		default:
			detail.Value = nil
		}
	}
	return body, nil
}

func clip(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	return strings.ToValidUTF8(s[:maxEcho], "\uFFFD") + "..."
}
