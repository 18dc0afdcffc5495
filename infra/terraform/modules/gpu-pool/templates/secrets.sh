# Writes a container's secrets to memory, readable by root alone; they never lie on a disk.
set -euo pipefail
umask 077
mkdir -p "$(dirname ${target})"
token=$(curl -sSf -H 'Metadata-Flavor: Google' \
  http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token \
  | sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')
read_secret() { # name version
  curl -sSf -H "Authorization: Bearer $token" \
    "https://secretmanager.googleapis.com/v1/projects/${project}/secrets/$1/versions/$2:access" \
    | sed -n 's/.*"data" *: *"\([^"]*\)".*/\1/p' | base64 -d
}
: > ${target}.new
%{ for variable, secret in secrets ~}
value=$(read_secret ${secret.name} ${secret.version})
printf '%s=%s\n' ${variable} "$value" >> ${target}.new
%{ endfor ~}
mv ${target}.new ${target}
