# DPE_NEED_*: look for something and, where it is missing, note it with the
# Debian package that has it. DPE_NEED_REPORT then tells everything at once.

# DPE_NEED_PKG(VARIABLE, MODULE-AND-VERSION, DEBIAN-PACKAGE)
AC_DEFUN([DPE_NEED_PKG], [
  PKG_CHECK_MODULES([$1], [$2], [], [DPE_NOTE_MISSING([$2], [$3])])
])

# DPE_NEED_PROG(VARIABLE, PROGRAMS, DEBIAN-PACKAGE)
AC_DEFUN([DPE_NEED_PROG], [
  AC_PATH_PROGS([$1], [$2], [], [$PATH:/usr/sbin:/sbin])
  AS_IF([test -z "$$1"], [DPE_NOTE_MISSING([program $2], [$3])])
])

# DPE_NOTE_MISSING(WHAT, HOW-TO-GET-IT)
AC_DEFUN([DPE_NOTE_MISSING], [
  AS_VAR_APPEND([dpe_missing], ["
  $1: $2"])
])

AC_DEFUN([DPE_NEED_REPORT], [
  AS_IF([test -n "$dpe_missing"],
        [AC_MSG_ERROR([missing (and the Debian package that has it):$dpe_missing
tools/deps installs all of them on Debian.])])
])
