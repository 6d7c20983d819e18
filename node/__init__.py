"""deid-node: receives DICOM studies, de-identifies and proves them, and forwards them."""

__version__ = "0.1.0"

#: Our Implementation Class UID and Version Name (PS3.7 D.3.3.2), written into every File Meta. The
#: name is not the software's version: it changes with the rules alone (METHOD_VERSION of
#: node.profile.recipe).
IMPLEMENTATION_CLASS_UID = "2.25.136276493089384238061501042405670871141"
IMPLEMENTATION_VERSION_NAME = "DEIDNODE_0_1"
