"""SITE → VERSION: releases, the published branch, addresses that moved."""
