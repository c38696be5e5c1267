{{/* One secret: exactly one way of giving it. Arguments: what it is for, and its values. */}}
{{- define "reelwire.oneWay" -}}
{{- $given := 0 }}
{{- range list .secret.existingSecret .secret.file .secret.value }}{{ if . }}{{ $given = add1 $given }}{{ end }}{{ end }}
{{- if ne (int $given) 1 }}{{ fail (printf "%s: set exactly one of existingSecret, file and value" .what) }}{{ end }}
{{- end }}

{{/* One secret that need not be: at most one way of giving it. */}}
{{- define "reelwire.atMostOneWay" -}}
{{- if include "reelwire.given" .secret }}{{ include "reelwire.oneWay" . }}{{ end }}
{{- end }}

{{/* Whether a secret is given in any way. */}}
{{- define "reelwire.given" -}}
{{- if or .existingSecret .file .value }}yes{{ end }}
{{- end }}

{{/* What the values ask for must fit together; the schema can't say all of it. */}}
{{- define "reelwire.check" -}}
{{- include "reelwire.checkSettings" . }}
{{- include "reelwire.oneWay" (dict "what" "platform.apiKey" "secret" .Values.platform.apiKey) }}
{{- if include "reelwire.hasPassword" . }}
{{- include "reelwire.oneWay" (dict "what" "kafka.sasl.password" "secret" .Values.kafka.sasl.password) }}
{{- if eq .Values.kafka.sasl.mechanism "OAUTHBEARER" }}
{{- if not (and .Values.kafka.sasl.oauth.tokenUrl .Values.kafka.sasl.oauth.clientId) }}{{ fail "kafka.sasl.oauth: tokenUrl and clientId are needed with OAUTHBEARER" }}{{ end }}
{{- else if not .Values.kafka.sasl.username }}{{ fail "kafka.sasl.username: is needed with a SASL protocol" }}{{ end }}
{{- end }}
{{- if and (not (hasSuffix "SSL" .Values.kafka.securityProtocol)) (or .Values.kafka.tls.caSecret .Values.kafka.tls.clientSecret) }}
{{- fail "kafka.tls: has no effect without securityProtocol SSL or SASL_SSL" }}
{{- end }}
{{- if .Values.webhooks.enabled }}
{{- include "reelwire.oneWay" (dict "what" "webhooks.secret" "secret" .Values.webhooks.secret) }}
{{- end }}
{{- if .Values.console.enabled }}
{{- include "reelwire.atMostOneWay" (dict "what" "console.token" "secret" .Values.console.token) }}
{{- include "reelwire.atMostOneWay" (dict "what" "console.streamSecret" "secret" .Values.console.streamSecret) }}
{{- include "reelwire.checkLogin" (dict "root" . "what" "console" "login" .Values.console.login) }}
{{- end }}
{{- if .Values.ingest.enabled }}{{ include "reelwire.checkIngest" . }}{{ end }}
{{- if and .Values.webhooks.ingress.enabled (not .Values.webhooks.enabled) }}
{{- fail "webhooks.ingress: needs webhooks.enabled" }}
{{- end }}
{{- if and .Values.scaling.enabled (gt (int .Values.scaling.minReplicas) (int .Values.scaling.maxReplicas)) }}
{{- fail "scaling.minReplicas: must be at most scaling.maxReplicas" }}
{{- end }}
{{- if and .Values.scaling.enabled .Values.topicsJob.enabled (gt (int .Values.scaling.maxReplicas) (int .Values.topicsJob.partitions)) }}
{{- fail "scaling.maxReplicas: must be at most topicsJob.partitions, a replica without a partition does nothing" }}
{{- end }}
{{- end }}

{{/* What `settings` may not hold: what the chart itself decides, and secrets, which would be in a ConfigMap. */}}
{{- define "reelwire.checkSettings" -}}
{{- if hasKey .Values.settings "http" }}{{ fail "settings.http: the chart decides; the service listens on port 8080 of its pod" }}{{ end }}
{{- with .Values.settings.console }}{{ if or (hasKey . "host") (hasKey . "port") }}{{ fail "settings.console: host and port are the chart's; the console listens on port 8090 of its pod" }}{{ end }}{{ end }}
{{- if hasKey .Values.settings "shutdown" }}{{ fail "settings.shutdown: set drainSeconds instead, the grace period follows it" }}{{ end }}
{{- range $section, $members := .Values.settings }}
{{- range $name, $value := $members }}
{{- if has $name (list "api_key" "sasl_password" "sasl_oauth_client_secret" "ssl_key_password" "secret" "token" "stream_secret") }}
{{- fail (printf "settings.%s.%s: is a secret and would be in a ConfigMap; use platform.apiKey, kafka.sasl.password, webhooks.secret, console.token, console.streamSecret, ingest.secret, or the setting %s_file with extraVolumes" $section $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
