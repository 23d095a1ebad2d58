# What differs from the package's /etc/nohang/nohang.conf: the thresholds of earlyoom's defaults.
s/^soft_threshold_min_mem *=.*/soft_threshold_min_mem = 10 %/
s/^hard_threshold_min_mem *=.*/hard_threshold_min_mem = 5 %/
