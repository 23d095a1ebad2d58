# shellcheck shell=dash disable=SC1091
# boot: --psi off --add @source@/test/vm/suites/uncharged.sh
# The same without pressure information.
. /test/uncharged.sh
