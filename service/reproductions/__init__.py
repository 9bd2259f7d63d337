"""Reproductions: published claims, the studies that test them again, and a verdict for each claim.

- ``routes``, ``bodies``, ``parameters``, ``schemas``, ``dependencies``, ``errors``: HTTP.
- ``service``: starting and reading; ``resume``: what a second start queues again; ``queries``: SQL.
- ``definition``: what a file of ``published`` holds; ``published``: the reproductions, one file each.
- ``rule``, ``rules``: what a comparison must show for a claim. ``crossings``: rules on the epoch at which a metric
  crosses a bound; ``peaks``: on a metric that rises and falls from arm to arm; ``splits``: on how results differ
  between splits; ``parts``: on bias and variance. ``judgment``: a verdict and its figures; ``state``: a reproduction on
  this server.
"""
