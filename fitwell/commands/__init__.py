"""The commands of ``fitwell``, grouped by what they act on."""
