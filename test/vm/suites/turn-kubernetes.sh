# shellcheck shell=dash disable=SC1091,SC2034
# boot: --mem 768 --clock virtual --add @source@/test/vm/suites/turn.sh
# Random machines by the policy kubernetes.
POLICY=kubernetes
. /test/turn.sh
