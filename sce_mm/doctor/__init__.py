"""Which OpenMMLab packages are installed, and do they work together?"""
