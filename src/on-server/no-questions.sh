# What apt-get and dpkg start asks no questions, and restarts no services.

# Call it before apt-get and dpkg. needrestart and debconf would wait for an answer that nobody gives, and needrestart might restart the services
# that carry the traffic (evidence P2 to P5).
ask_nothing() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
}
