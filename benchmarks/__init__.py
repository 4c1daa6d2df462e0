"""How fast GANForge is: the same maths written the usual way, timed in turns with ours.  See docs/performance.md."""
