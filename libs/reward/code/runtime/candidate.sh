# The side of the program under test, after its text. Nothing here is trusted.
__hone_serve() {
  local written status
  __hone_send o
  while __hone_receive; do
    written=$("$@" "${__hone_words[@]}" 3>&- </dev/null)
    status=$?
    __hone_send v "$status" "$written"
  done
}
