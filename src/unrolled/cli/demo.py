"""unrolled demo"""

def demo(): 
    """Demo."""
