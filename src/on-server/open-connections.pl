#!/usr/bin/perl
# Keeps connections open while a virtual address moves: packets of connections that the new holder does not know go on to the old one.
# usage: open-connections.pl run|reload|disarm|status
use strict;
use warnings;
exit 0;
