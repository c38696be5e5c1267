{{- define "reelwire.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "reelwire.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "reelwire.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "reelwire.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "reelwire.selector" -}}
app.kubernetes.io/name: {{ include "reelwire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end }}

{{- define "reelwire.labels" -}}
app.kubernetes.io/name: {{ include "reelwire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "reelwire.consoleSelector" -}}
app.kubernetes.io/name: {{ include "reelwire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: console
{{- end }}

{{- define "reelwire.consoleLabels" -}}
{{ include "reelwire.labels" . }}
app.kubernetes.io/component: console
{{- end }}

{{- define "reelwire.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "reelwire.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "reelwire.image" -}}
{{- if .Values.image.digest }}{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}{{ end }}
{{- end }}

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

{{/* The path of a secret in the container. Arguments: its folder below /etc/reelwire/secrets, and its values. */}}
{{- define "reelwire.secretPath" -}}
{{- default (printf "/etc/reelwire/secrets/%s/%s" .folder .secret.key) .secret.file }}
{{- end }}

{{/* Whether the login to Kafka needs a secret of ours: AWS_MSK_IAM takes the pod's identity. */}}
{{- define "reelwire.hasPassword" -}}
{{- if and (hasPrefix "SASL" .Values.kafka.securityProtocol) (ne .Values.kafka.sasl.mechanism "AWS_MSK_IAM") }}yes{{ end }}
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
{{- end }}
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
{{- fail (printf "settings.%s.%s: is a secret and would be in a ConfigMap; use platform.apiKey, kafka.sasl.password, webhooks.secret, console.token, console.streamSecret, or the setting %s_file with extraVolumes" $section $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings of the service, as JSON: sections with their members. */}}
{{- define "reelwire.settings" -}}
{{- $kafka := dict "bootstrap_servers" .Values.kafka.bootstrapServers "group_id" .Values.kafka.groupId "security_protocol" .Values.kafka.securityProtocol }}
{{- if include "reelwire.hasPassword" . }}
{{- $path := include "reelwire.secretPath" (dict "folder" "kafka-password" "secret" .Values.kafka.sasl.password) }}
{{- if eq .Values.kafka.sasl.mechanism "OAUTHBEARER" }}
{{- $_ := merge $kafka (dict "sasl_oauth_token_url" .Values.kafka.sasl.oauth.tokenUrl "sasl_oauth_client_id" .Values.kafka.sasl.oauth.clientId "sasl_oauth_client_secret_file" $path) }}
{{- with .Values.kafka.sasl.oauth.scope }}{{ $_ := set $kafka "sasl_oauth_scope" . }}{{ end }}
{{- else }}
{{- $_ := merge $kafka (dict "sasl_username" .Values.kafka.sasl.username "sasl_password_file" $path) }}
{{- end }}
{{- end }}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}{{ $_ := set $kafka "sasl_mechanism" .Values.kafka.sasl.mechanism }}{{ end }}
{{- with .Values.kafka.tls }}
{{- if .caSecret }}{{ $_ := set $kafka "ssl_cafile" (printf "/etc/reelwire/secrets/kafka-ca/%s" .caKey) }}{{ end }}
{{- if .clientSecret }}
{{- $_ := set $kafka "ssl_certfile" (printf "/etc/reelwire/secrets/kafka-client/%s" .certKey) }}
{{- $_ := set $kafka "ssl_keyfile" (printf "/etc/reelwire/secrets/kafka-client/%s" .keyKey) }}
{{- end }}
{{- end }}
{{- $platform := dict "api_key_file" (include "reelwire.secretPath" (dict "folder" "platform" "secret" .Values.platform.apiKey)) }}
{{- if .Values.platform.baseUrl }}{{ $_ := set $platform "base_url" .Values.platform.baseUrl }}{{ end }}
{{- $all := dict "kafka" $kafka "platform" $platform "shutdown" (dict "drain_seconds" .Values.drainSeconds) }}
{{- if .Values.webhooks.enabled }}
{{- $_ := set $all "webhooks" (dict "secret_file" (include "reelwire.secretPath" (dict "folder" "webhooks" "secret" .Values.webhooks.secret))) }}
{{- end }}
{{- $all = mergeOverwrite (dict) (deepCopy .Values.settings) $all }}
{{- if .Values.topicsJob.enabled }}
{{- $shape := dict "partitions" .Values.topicsJob.partitions "replication" .Values.topicsJob.replication }}
{{- $all = mergeOverwrite $all (dict "topics" $shape) }}
{{- end }}
{{- $all | toJson }}
{{- end }}

{{/* Those of the console: it has nothing to do with the platform and its key, nor with webhooks. */}}
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

{{- define "reelwire.toml" -}}
{{- include "reelwire.asToml" (include "reelwire.settings" . | fromJson) }}
{{- end }}

{{- define "reelwire.consoleToml" -}}
{{- include "reelwire.asToml" (include "reelwire.consoleSettings" . | fromJson) }}
{{- end }}

{{/* Sections as TOML. JSON's numbers, texts, truth values and lists are TOML's too. */}}
{{- define "reelwire.asToml" -}}
{{- $all := . }}
{{- range $section := keys $all | sortAlpha }}
{{ printf "[%s]" $section }}
{{- $members := get $all $section }}
{{- range $name := keys $members | sortAlpha }}
{{ $name }} = {{ get $members $name | toJson }}
{{- end }}
{{ end }}
{{- end }}

{{- define "reelwire.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "reelwire.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "reelwire.env" -}}
- name: REELWIRE_CONFIG
  value: /etc/reelwire/config/reelwire.toml
# The broker's logs and quotas tell the pods apart by it.
- name: REELWIRE_KAFKA__CLIENT_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "reelwire.mounts" -}}
{{- include "reelwire.mountsOf" (dict "Values" .Values "folders" (include "reelwire.secretFolders" . | fromJsonArray)) }}
{{- end }}

{{/* Arguments: Values, and the folders of secrets. */}}
{{- define "reelwire.mountsOf" -}}
- name: tmp
  mountPath: /tmp
# Whole folders, no subPath: a secret that is replaced arrives without a restart, and the service reads it again.
- name: config
  mountPath: /etc/reelwire/config
  readOnly: true
{{- range $name := .folders }}
- name: {{ $name.folder }}
  mountPath: /etc/reelwire/secrets/{{ $name.folder }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "reelwire.volumes" -}}
{{- $folders := include "reelwire.secretFolders" . | fromJsonArray }}
{{- include "reelwire.volumesOf" (dict "Values" .Values "config" (include "reelwire.fullname" .) "folders" $folders) }}
{{- end }}

{{/* Arguments: Values, the name of the ConfigMap, and the folders of secrets. */}}
{{- define "reelwire.volumesOf" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
- name: config
  configMap:
    name: {{ .config }}
{{- range $one := .folders }}
- name: {{ $one.folder }}
  secret:
    secretName: {{ $one.secret }}
    defaultMode: 0440
    items:
      {{- range $key := $one.keys }}
      - {key: {{ $key }}, path: {{ $key }}}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Which Secrets are mounted, each in a folder of its own: a JSON list of {folder, secret, keys}. */}}
{{- define "reelwire.secretFolders" -}}
{{- $given := list (dict "folder" "platform" "of" .Values.platform.apiKey) }}
{{- if .Values.webhooks.enabled }}{{ $given = append $given (dict "folder" "webhooks" "of" .Values.webhooks.secret) }}{{ end }}
{{- include "reelwire.foldersOf" (dict "root" . "given" $given) }}
{{- end }}

{{- define "reelwire.consoleFolders" -}}
{{- $given := list }}
{{- with .Values.console }}
{{- if include "reelwire.given" .token }}{{ $given = append $given (dict "folder" "console" "of" .token) }}{{ end }}
{{- if include "reelwire.given" .streamSecret }}{{ $given = append $given (dict "folder" "console-stream" "of" .streamSecret) }}{{ end }}
{{- end }}
{{- include "reelwire.foldersOf" (dict "root" . "given" $given) }}
{{- end }}

{{/* `given`, and what the connection to Kafka needs. */}}
{{- define "reelwire.foldersOf" -}}
{{- $given := .given }}
{{- with .root }}
{{- $own := include "reelwire.fullname" . }}
{{- $found := list }}
{{- if include "reelwire.hasPassword" . }}{{ $given = append $given (dict "folder" "kafka-password" "of" .Values.kafka.sasl.password) }}{{ end }}
{{- range $given }}
{{- if not .of.file }}{{ $found = append $found (dict "folder" .folder "secret" (default $own .of.existingSecret) "keys" (list .of.key)) }}{{ end }}
{{- end }}
{{- with .Values.kafka.tls }}
{{- if .caSecret }}{{ $found = append $found (dict "folder" "kafka-ca" "secret" .caSecret "keys" (list .caKey)) }}{{ end }}
{{- if .clientSecret }}{{ $found = append $found (dict "folder" "kafka-client" "secret" .clientSecret "keys" (list .certKey .keyKey)) }}{{ end }}
{{- end }}
{{- $found | toJson }}
{{- end }}
{{- end }}
