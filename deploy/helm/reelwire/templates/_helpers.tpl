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

{{- define "reelwire.serviceAccount" -}}
{{- include "reelwire.accountName" (dict "name" (include "reelwire.fullname" .) "account" .Values.serviceAccount) }}
{{- end }}

{{/* Arguments: the name by default, and the values of a ServiceAccount. */}}
{{- define "reelwire.accountName" -}}
{{- if .account.create }}{{ default .name .account.name }}{{ else }}{{ default "default" .account.name }}{{ end }}
{{- end }}

{{/* Arguments: the name by default, the values of a ServiceAccount, and labels. */}}
{{- define "reelwire.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "reelwire.accountName" . }}
  labels: {{- .labels | nindent 4 }}
  {{- with .account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
# Nothing here talks to Kubernetes. Tokens for object storage are projected by the cloud's own webhook.
automountServiceAccountToken: false
{{- end }}

{{- define "reelwire.image" -}}
{{- if .Values.image.digest }}{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}{{ end }}
{{- end }}

{{/* The path of a secret in the container. Arguments: its folder below /etc/reelwire/secrets, and its values. */}}
{{- define "reelwire.secretPath" -}}
{{- default (printf "/etc/reelwire/secrets/%s/%s" .folder .secret.key) .secret.file }}
{{- end }}

{{/* Whether the login to Kafka needs a secret of ours: AWS_MSK_IAM takes the pod's identity. */}}
{{- define "reelwire.hasPassword" -}}
{{- if and (hasPrefix "SASL" .Values.kafka.securityProtocol) (ne .Values.kafka.sasl.mechanism "AWS_MSK_IAM") }}yes{{ end }}
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

{{- define "reelwire.toml" -}}
{{- include "reelwire.asToml" (include "reelwire.settings" . | fromJson) }}
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

{{/* Where a pod may run, and how its image is fetched. */}}
{{- define "reelwire.placing" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An Ingress to one path only. Arguments: name, labels, path, pathType, and the values of the Ingress. */}}
{{- define "reelwire.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .name }}
  labels: {{- .labels | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .ingress.tlsSecret }}
  tls:
    - hosts: [{{ $.ingress.host | quote }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ .ingress.host | quote }}
      http:
        paths:
          - path: {{ .path }}
            pathType: {{ .pathType }}
            backend:
              service:
                name: {{ .name }}
                port: {name: http}
{{- end }}
