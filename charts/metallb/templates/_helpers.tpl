{{- define "metallb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "metallb.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "metallb.selectorLabels" -}}
app.kubernetes.io/name: {{ include "metallb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metallb.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "metallb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Annotations of every object: commonAnnotations, and the object's own. */ -}}
{{- define "metallb.annotations" -}}
{{- $all := merge (dict) (default (dict) .extra) (default (dict) .root.Values.commonAnnotations) }}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "metallb.controllerServiceAccount" -}}
{{- if .Values.controller.serviceAccount.create }}
{{- default (printf "%s-controller" (include "metallb.fullname" .)) .Values.controller.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.controller.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "metallb.speakerServiceAccount" -}}
{{- if .Values.speaker.serviceAccount.create }}
{{- default (printf "%s-speaker" (include "metallb.fullname" .)) .Values.speaker.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.speaker.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "metallb.memberlistSecret" -}}
{{- default (printf "%s-memberlist" (include "metallb.fullname" .)) .Values.speaker.memberlist.secretName }}
{{- end }}

{{- define "metallb.image" -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) }}
{{- end }}

{{- define "metallb.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .probe.port }}
  {{- with .host }}
  host: {{ . }}
  {{- end }}
failureThreshold: {{ .probe.failureThreshold }}
initialDelaySeconds: {{ .probe.initialDelaySeconds }}
periodSeconds: {{ .probe.periodSeconds }}
successThreshold: {{ .probe.successThreshold }}
timeoutSeconds: {{ .probe.timeoutSeconds }}
{{- end }}

{{- define "metallb.scrapeAnnotations" -}}
{{- if .Values.prometheus.scrapeAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/scheme: https
prometheus.io/port: {{ .Values.prometheus.metricsPort | quote }}
{{- end }}
{{- end }}

{{- /* Refuses impossible combinations of values before anything is installed. */ -}}
{{- define "metallb.validate" -}}
{{- if .Values.configInline }}
{{- fail "configInline: MetalLB dropped it in 0.13, and so did we; write IPAddressPool and L2Advertisement objects (`metallb convert` turns the old text into them)" }}
{{- end }}
{{- if and .Values.speaker.frr.enabled (or .Values.frrk8s.external) }}
{{- fail "speaker.frr.enabled and frrk8s.external exclude each other; set one of them to false" }}
{{- end }}
{{- if and .Values.frrk8s.enabled .Values.frrk8s.external }}
{{- fail "frrk8s.enabled and frrk8s.external exclude each other; for an frr-k8s of your own set frrk8s.enabled to false" }}
{{- end }}
{{- if and .Values.frrk8s.external (not .Values.frrk8s.namespace) }}
{{- fail "frrk8s.namespace is missing; with frrk8s.external it names the namespace of your frr-k8s" }}
{{- end }}
{{- if and .Values.frrk8s.external (not .Values.speaker.enabled) }}
{{- fail "frrk8s.external needs the speakers, which write for it; set speaker.enabled to true" }}
{{- end }}
{{- if and .Values.frrk8s.secretPassthrough (not .Values.frrk8s.external) }}
{{- fail "frrk8s.secretPassthrough needs frrk8s.external; set it to false" }}
{{- end }}
{{- if and .Values.prometheus.podMonitor.enabled .Values.prometheus.serviceMonitor.enabled }}
{{- fail "prometheus.podMonitor.enabled and prometheus.serviceMonitor.enabled exclude each other; every metric would be scraped twice" }}
{{- end }}
{{- $monitors := or .Values.prometheus.podMonitor.enabled .Values.prometheus.serviceMonitor.enabled }}
{{- if and $monitors .Values.prometheus.rbacPrometheus (not (and .Values.prometheus.serviceAccount .Values.prometheus.namespace)) }}
{{- fail "prometheus.serviceAccount and prometheus.namespace are missing; with monitors and prometheus.rbacPrometheus both name who scrapes" }}
{{- end }}
{{- if and (not .Values.speaker.memberlist.enabled) .Values.speaker.nodeSelector }}
{{- fail "speaker.nodeSelector: without speaker.memberlist every node is assumed to have a speaker; remove the selector, or enable memberlist" }}
{{- end }}
{{- end }}
