# Messages over descriptor 3 for Bash, which cannot hold every byte: ../dialect.h describes them.
__hone_send() {
  local LC_ALL=C kind=$1 word
  shift
  {
    printf '%s%d:' "$kind" "$#"
    for word in "$@"; do printf '%d:%s' "${#word}" "$word"; done
  } >&3
}

# Into __hone_kind and __hone_words.
__hone_receive() {
  local - IFS=' ' line part word
  set -f
  __hone_words=()
  IFS= read -r -u 3 line || return 1
  __hone_kind=${line:0:1}
  for part in ${line:1}; do
    printf -v word '%b' "${part#w}"
    __hone_words+=("$word")
  done
}
