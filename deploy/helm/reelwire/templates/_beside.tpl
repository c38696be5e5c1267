{{/* What runs beside the service, the console and ingest: labels, logins and ways out, which are less than the service's. */}}

{{/* Arguments: root, and the component. */}}
{{- define "reelwire.selectorOf" -}}
app.kubernetes.io/name: {{ include "reelwire.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "reelwire.labelsOf" -}}
{{ include "reelwire.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* `kafka` of the values, with a login of its own in place of the service's where one is given, as JSON. Arguments: root, login. */}}
{{- define "reelwire.kafkaAs" -}}
{{- $kafka := deepCopy .root.Values.kafka }}
{{- with .login }}
{{- if .user }}
{{- if eq $kafka.sasl.mechanism "OAUTHBEARER" }}{{ $_ := set $kafka.sasl.oauth "clientId" .user }}{{ else }}{{ $_ := set $kafka.sasl "username" .user }}{{ end }}
{{- $_ := set $kafka.sasl "password" .password }}
{{- end }}
{{- if .clientSecret }}{{ $_ := set $kafka.tls "clientSecret" .clientSecret }}{{ end }}
{{- end }}
{{- $kafka | toJson }}
{{- end }}

{{/* Whether a login of its own fits the cluster. Arguments: root, what it is for, and its values. */}}
{{- define "reelwire.checkLogin" -}}
{{- $kafka := .root.Values.kafka }}
{{- if or .login.user (include "reelwire.given" .login.password) }}
{{- if not (include "reelwire.hasPassword" .root) }}
{{- fail (printf "%s.login.user: has no effect without a SASL protocol and a login by name; AWS_MSK_IAM knows the pod by %s.serviceAccount" .what .what) }}
{{- end }}
{{- if not .login.user }}{{ fail (printf "%s.login.user: is needed with a password of its own" .what) }}{{ end }}
{{- include "reelwire.oneWay" (dict "what" (printf "%s.login.password" .what) "secret" .login.password) }}
{{- end }}
{{- if and .login.clientSecret (not (hasSuffix "SSL" $kafka.securityProtocol)) }}
{{- fail (printf "%s.login.clientSecret: has no effect without securityProtocol SSL or SASL_SSL" .what) }}
{{- end }}
{{- end }}

{{/* Out to names, Kafka, and where the tokens of the login come from: neither the platform nor object stores. */}}
{{- define "reelwire.egressToKafka" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- ports:
    {{- range .Values.networkPolicy.kafkaPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.kafkaTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if and (hasPrefix "SASL" .Values.kafka.securityProtocol) (has .Values.kafka.sasl.mechanism (list "OAUTHBEARER" "AWS_MSK_IAM")) }}
# Where the tokens of the login come from.
- ports:
    {{- range .Values.networkPolicy.httpsPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The settings of the console: it has nothing to do with the platform and its key, nor with webhooks. */}}
{{- define "reelwire.consoleSettings" -}}
{{- $all := omit (include "reelwire.settings" . | fromJson) "platform" "webhooks" "shutdown" }}
{{- $console := dict "host" "0.0.0.0" "port" 8090 }}
{{- with .Values.console }}
{{- if .hosts }}{{ $_ := set $console "hosts" .hosts }}{{ end }}
{{- if .origins }}{{ $_ := set $console "origins" .origins }}{{ end }}
{{- if include "reelwire.given" .token }}{{ $_ := set $console "token_file" (include "reelwire.secretPath" (dict "folder" "console" "secret" .token)) }}{{ end }}
{{- if include "reelwire.given" .streamSecret }}{{ $_ := set $console "stream_secret_file" (include "reelwire.secretPath" (dict "folder" "console-stream" "secret" .streamSecret)) }}{{ end }}
{{- end }}
{{- mergeOverwrite $all (dict "console" $console) | toJson }}
{{- end }}

{{- define "reelwire.consoleFolders" -}}
{{- $given := list }}
{{- with .Values.console }}
{{- if include "reelwire.given" .token }}{{ $given = append $given (dict "folder" "console" "of" .token) }}{{ end }}
{{- if include "reelwire.given" .streamSecret }}{{ $given = append $given (dict "folder" "console-stream" "of" .streamSecret) }}{{ end }}
{{- end }}
{{- include "reelwire.foldersOf" (dict "root" . "given" $given) }}
{{- end }}

{{/* Those of ingest: no key of the platform, and its own secret for notifications over HTTP. */}}
{{- define "reelwire.ingestSettings" -}}
{{- $all := omit (include "reelwire.settings" . | fromJson) "platform" "webhooks" "shutdown" "console" }}
{{- if include "reelwire.given" .Values.ingest.secret }}
{{- $all = mergeOverwrite $all (dict "ingest" (dict "secret_file" (include "reelwire.secretPath" (dict "folder" "ingest" "secret" .Values.ingest.secret)))) }}
{{- end }}
{{- $all | toJson }}
{{- end }}

{{- define "reelwire.ingestFolders" -}}
{{- $given := list }}
{{- if include "reelwire.given" .Values.ingest.secret }}{{ $given = append $given (dict "folder" "ingest" "of" .Values.ingest.secret) }}{{ end }}
{{- include "reelwire.foldersOf" (dict "root" . "given" $given) }}
{{- end }}

{{- define "reelwire.checkIngest" -}}
{{- with .Values.ingest }}
{{- if not (or .rules .watch.path) }}{{ fail "ingest: set ingest.rules (--set-file ingest.rules=buckets.toml), ingest.watch.path, or both" }}{{ end }}
{{- if and .rules .watch.prompt }}{{ fail "ingest.watch.prompt: goes without ingest.rules, which say the prompt" }}{{ end }}
{{- if and .watch.prompt (not .watch.path) }}{{ fail "ingest.watch.prompt: needs ingest.watch.path" }}{{ end }}
{{- if and .files (not .rules) }}{{ fail "ingest.files: have no effect without ingest.rules, which name them" }}{{ end }}
{{- range $name, $_ := .files }}
{{- if has $name (list "rules.toml" "reelwire.toml") }}{{ fail (printf "ingest.files: %s is made by the chart" $name) }}{{ end }}
{{- end }}
{{- if and .watch.path (not (dig "sources" "file_roots" "" $.Values.settings)) }}
{{- fail "ingest.watch.path: must be below one of settings.sources.file_roots, or the service refuses its files" }}
{{- end }}
{{- if ne (dig "kafka" "delivery" "exactly_once" $.Values.settings) "exactly_once" }}
{{- fail "settings.kafka.delivery: ingest needs transactions, exactly_once" }}
{{- end }}
{{- include "reelwire.atMostOneWay" (dict "what" "ingest.secret" "secret" .secret) }}
{{- if and .ingress.enabled (not (include "reelwire.given" .secret)) }}{{ fail "ingest.ingress: needs ingest.secret, without which no notification is taken" }}{{ end }}
{{- include "reelwire.checkLogin" (dict "root" $ "what" "ingest" "login" .login) }}
{{- end }}
{{- end }}
