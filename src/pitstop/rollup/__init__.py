"""Operations folded into histograms that merge exactly, and the thread that writes them."""
