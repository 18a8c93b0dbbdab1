package httpapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// schemaOf returns a reference to the JSON schema of a Go type.
func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}
