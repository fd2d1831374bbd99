"""The settlement chain as the reward room sees it: typed values in and out, one error family, no environment.

Accounts and device keys are raw bytes (20 and 32), as in ``protocol``; hex with a checksum appears only in sentences.
"""
