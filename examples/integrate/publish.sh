#!/bin/sh
# Hands one e-mail in with the `nats` command line (the body must stay below 256 KiB):
#   NATS_URL=nats://127.0.0.1:4222 NATS_NKEY=mailsystem.nk sh publish.sh question.eml [mailbox]
set -eu
mailbox=${2:-default}
# The same file is the same event: a repetition is dropped by the broker.
hash=$(printf %s "$mailbox" | cat - "$1" | sha256sum | cut -c1-32)
id=$(printf %s "$hash" | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/\1-\2-8\3-8\4-\5/')
reply=$(printf '{"specversion":"1.0","id":"%s","source":"shell","subject":"%s","time":"%s",
  "type":"sourcier.mail.received.v1","dataschema":"urn:sourcier:mail:received:v1",
  "data":{"mailbox":"%s","content":"%s"}}' \
  "$id" "$id" "$(date -u +%FT%TZ)" "$mailbox" "$(base64 -w0 < "$1")" |
  nats --inbox-prefix _INBOX_mailsystem --timeout 5s request "mail.received.v1.$mailbox" \
    --header "Nats-Msg-Id:$id" --raw --force-stdin)
# The stream's word, such as {"stream":"MAIL","seq":7}; without it the e-mail was not taken.
case $reply in
  *'"stream"'*) echo "$id" ;;
  *) echo "not taken: ${reply:-no answer}" >&2; exit 75 ;;
esac
