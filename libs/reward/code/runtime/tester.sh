# The trusted side: runs the tests of the data set, which call the function under test by name. All
# that comes back of a call are its exit status and what it wrote, as text.
__hone_call() {
  __hone_send c "$@"
  __hone_receive || exit 99
  [[ $__hone_kind == v ]] || exit 98
  printf '%s' "${__hone_words[1]}"
  return "${__hone_words[0]}"
}

__hone_end() {
  local status=$?
  if [[ $status == 0 ]]; then
    __hone_send e 1 1 ''
  else
    __hone_send e 0 1 "the tests ended with status $status"
  fi
}
trap __hone_end EXIT
