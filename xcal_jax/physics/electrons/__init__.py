"""Two electron models, one question: how much of an electron's energy leaves the absorber?"""
