{{- define "cairn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cairn.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "cairn.labels" -}}
{{ include "cairn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{/* The configuration file: the chart's own settings over config. */}}
{{- define "cairn.config" -}}
{{- $own := dict "data-dir" "/data" "listen" (list "*") "port" 11211 "http-listen" ":8211" "http-token-file" "/etc/cairn-tokens/tokens" -}}
{{- if .Values.usersSecret -}}
{{- $_ := set $own "auth-file" "/etc/cairn-users/users" -}}
{{- end -}}
{{- if .Values.tls.memcachedSecret -}}
{{- $_ := set $own "tls-cert" "/etc/cairn-tls/tls.crt" -}}
{{- $_ := set $own "tls-key" "/etc/cairn-tls/tls.key" -}}
{{- end -}}
{{- if .Values.tls.httpSecret -}}
{{- $_ := set $own "http-tls-cert" "/etc/cairn-http-tls/tls.crt" -}}
{{- $_ := set $own "http-tls-key" "/etc/cairn-http-tls/tls.key" -}}
{{- else -}}
{{- $_ := set $own "http-allow-plaintext" true -}}
{{- end -}}
{{- merge $own .Values.config | toYaml -}}
{{- end -}}
