package adminapi

import "context"

// Setting is one setting of the server as it runs.
type Setting struct {
	Name        string `json:"name" doc:"The long name of the flag, and the key in a configuration file."`
	Environment string `json:"environment" doc:"The variable that sets it."`
	Group       string `json:"group"`
	Type        string `json:"type"`
	Value       string `json:"value"`
	Default     string `json:"default"`
	Source      string `json:"source" doc:"Where the value comes from; default if it is not set."`
	Meaning     string `json:"meaning"`
}

// SettingList has all settings.
type SettingList struct {
	Settings []Setting `json:"settings" nullable:"false" doc:"In the order of the documentation."`
}

// Settings lists the settings with defaults, sources and meanings.
func (c *Client) Settings(ctx context.Context) (SettingList, error) {
	return get[SettingList](ctx, c, "/v1/settings", nil)
}
