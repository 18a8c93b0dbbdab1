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

{{/* The headless service, by which nodes of a cluster find each other. */}}
{{- define "cairn.nodes" -}}
{{ include "cairn.fullname" . }}-nodes
{{- end -}}

{{/* The secret with a node's certificate; empty: there is none. */}}
{{- define "cairn.clusterSecret" -}}
{{- if .Values.cluster.enabled -}}{{ .Values.cluster.tlsSecret }}{{- end -}}
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
{{- with .Values.cluster -}}
{{- if .enabled -}}
{{- $_ := set $own "cluster-listen" ":7211" -}}
{{- $_ := set $own "cluster-name" (include "cairn.fullname" $) -}}
{{- $_ := set $own "join" (list (printf "%s.%s.svc:7211" (include "cairn.nodes" $) $.Release.Namespace)) -}}
{{- $_ := set $own "bootstrap-expect" .replicas -}}
{{- if .tlsSecret -}}
{{- $_ := set $own "cluster-cert" "/etc/cairn-cluster/tls.crt" -}}
{{- $_ := set $own "cluster-key" "/etc/cairn-cluster/tls.key" -}}
{{- $_ := set $own "cluster-ca" "/etc/cairn-cluster/ca.crt" -}}
{{- else -}}
{{- $_ := set $own "cluster-plaintext" true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- merge $own .Values.config | toYaml -}}
{{- end -}}
