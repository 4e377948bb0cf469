"""Work on many images: read ahead, one after the other, written behind; none stops the others."""
