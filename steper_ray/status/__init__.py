"""`steper status`: what runs, how far it is, how healthy, and what to do; reads folders, and Ray where asked."""
